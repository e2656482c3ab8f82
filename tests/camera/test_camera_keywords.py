from __future__ import annotations

from collections.abc import Callable

from hscbox.camera import keywords
from hscbox.camera.geometry import CHANNELS

OF_MASTERS = {keywords.OBSTYPE, keywords.CALIB_ID}
STEMS = {
    *(keywords.START, keywords.END),
    *(keywords.EXPOSED_FIRST, keywords.EXPOSED_LAST, keywords.OVERSCAN_FIRST, keywords.OVERSCAN_LAST),
}


def test_a_real_header_has_all_keywords(raw_header: Callable[..., dict]) -> None:
    header = raw_header("2015")
    named = {value for name, value in vars(keywords).items() if name.isupper() and isinstance(value, str)}
    assert len(named) > 30
    assert named - OF_MASTERS - STEMS - set(header) == set()
    assert set(keywords.VISIT_KEYWORDS) <= set(header)
    for channel in CHANNELS:
        assert header[keywords.gain(channel)] > 0
        ends = [header[keywords.window(end, channel, 2)] for end in (keywords.EXPOSED_LAST, keywords.OVERSCAN_FIRST)]
        assert ends == [4225, 4226]

from __future__ import annotations

import collections
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hscbox.butler.pickle_reader import dump_plain, load_pickle, loads_pickle
from hscbox.errors import DamagedInputError, MissingInputError, UnsafeInputError


class _Call:
    def __init__(self, function: object, *arguments: object) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_survive_every_protocol(protocol: int, order: str):
    array = np.asarray(np.arange(12.0).reshape(3, 4) * 1e-7, order=order)
    read = loads_pickle(pickle.dumps(array, protocol=protocol), "kernel")
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_containers_survive(protocol: int):
    value = {"a": [1, 2.5, None, True], "b": ("x", b"y"), "c": {1, 2}, "d": np.float64(3.5)}
    assert loads_pickle(pickle.dumps(value, protocol=protocol), "x") == value


def test_python_2_kernel_with_old_module_name():
    data = pickle.dumps(np.arange(3), protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    np.testing.assert_array_equal(loads_pickle(data, "x"), [0, 1, 2])


@pytest.mark.parametrize(
    "hostile",
    [
        _Call(print, "executed"),
        _Call(subprocess.check_output, ["touch", "HACKED"]),
        _Call(eval, "open('HACKED', 'w')"),
        _Call(getattr, "", "join"),
        _Call(np.load, "x.npy"),
        {"deep": [_Call(exec, "open('HACKED', 'w')")]},
    ],
)
def test_pickles_that_try_to_run_something_are_refused(hostile, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "packages.pickle"
    path.write_bytes(pickle.dumps(hostile))
    with pytest.raises(UnsafeInputError, match=r"packages\.pickle"):
        load_pickle(path)
    assert not (tmp_path / "HACKED").exists()
    assert capsys.readouterr().out == ""


def test_arrays_of_objects_are_refused():
    with pytest.raises((UnsafeInputError, DamagedInputError)):
        loads_pickle(pickle.dumps(np.array([{}, _Call(print, "x")], dtype=object)), "x")


def test_versions_object_of_the_stack_becomes_a_plain_dictionary():
    # Protocol 2 stream of an object lsst.base.packages.Packages with state {"_packages": ..., "_names": ...}.
    data = (
        b"\x80\x02clsst.base.packages\nPackages\n)\x81}(U\t_packages}U\x05numpyU\x061.13.1s"
        b"U\x06_namesc__builtin__\nset\n]U\x05numpya\x85Rub."
    )
    assert loads_pickle(data, "packages.pickle") == {"numpy": "1.13.1"}


@pytest.mark.parametrize("data", [b"", b"nonsense", pickle.dumps([1, 2])[:-3], b"\x80\x04\x95" + b"\xff" * 8])
def test_damaged_pickles(data: bytes):
    with pytest.raises(DamagedInputError):
        loads_pickle(data, "x")


def test_missing_file(tmp_path: Path):
    with pytest.raises(MissingInputError, match="nothing"):
        load_pickle(tmp_path / "nothing.pickle")


def test_what_is_written_is_deterministic_and_can_be_read_back():
    value = collections.OrderedDict(a="1", b="2")
    assert loads_pickle(dump_plain(value), "x") == value
    assert dump_plain({"a": 1.5}) == dump_plain({"a": 1.5})
    with pytest.raises(UnsafeInputError):
        dump_plain(Path("x"))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_all_plain_types_survive(protocol: int):
    for array in (
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.array([1 + 2j]),
        np.array(["a", "bcd"]),
        np.array([b"xy"]),
        np.array([True, False]),
        np.zeros((0, 3)),
        np.array(2.5),
        np.arange(9)[::2],
    ):
        read = loads_pickle(pickle.dumps({"a": array, "b": bytearray(b"xy\xff")}, protocol=protocol), "x")
        assert read["b"] == b"xy\xff"
        np.testing.assert_array_equal(read["a"], array)
        assert read["a"].dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
        assert loads_pickle(dump_plain(read), "x").keys() == read.keys()


@pytest.mark.parametrize(
    "hostile",
    [
        _Call(np.ndarray, (1 << 50,)),
        _Call(np.ndarray, (4,)),
        _Call(bytearray, 1 << 50),
        _Call(bytearray, 4),
        np.zeros(2, "V8"),
        np.zeros(2, [("a", "f8")]),
        np.zeros(2, "M8[s]"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_nothing_allocates_what_a_pickle_says(hostile: object, protocol: int):
    with pytest.raises((DamagedInputError, UnsafeInputError)):
        loads_pickle(pickle.dumps(hostile, protocol=protocol), "x")


def test_an_array_that_claims_another_size_is_refused():
    data = pickle.dumps(np.arange(3), protocol=2)
    assert data.count(b"K\x03\x85") == 1
    with pytest.raises(DamagedInputError, match="24 bytes"):
        loads_pickle(data.replace(b"K\x03\x85", b"K\x04\x85"), "x")


def test_a_versions_object_with_odd_content():
    data = b"\x80\x02clsst.base.packages\nPackages\n)\x81}X\x09\x00\x00\x00_packagesK\x05sb."
    with pytest.raises(DamagedInputError, match="x is not"):
        loads_pickle(data, "x")

"""The public names, each with the module that it is loaded from; `docs/python-api.md` describes them."""

from .butler.butler import Butler as Butler
from .butler.data_ref import DataRef as DataRef
from .camera.camera import load_camera as load_camera
from .catalog.footprint import Footprint as Footprint
from .catalog.matches import MatchList as MatchList
from .catalog.schema import Schema as Schema
from .catalog.source_catalog import SourceCatalog as SourceCatalog
from .errors import ExitStatus as ExitStatus
from .errors import HscboxError as HscboxError
from .image.background import BackgroundModel as BackgroundModel
from .image.exposure import Exposure as Exposure
from .image.mask import MASK_PLANES as MASK_PLANES
from .image.mask import mask_bits as mask_bits
from .image.photo_calib import PhotoCalib as PhotoCalib
from .image.psf import Psf as Psf
from .image.sky_wcs import SkyWcs as SkyWcs
from .machine.revision import revision as revision
from .pipeline.process_ccd import ProcessCcdConfig as ProcessCcdConfig
from .pipeline.process_ccd import ProcessCcdTask as ProcessCcdTask
from .products.background import read_backgrounds as read_backgrounds
from .products.boost import read_boost as read_boost
from .products.catalog import read_catalog as read_catalog
from .products.catalog import write_catalog as write_catalog
from .products.exposure import read_exposure as read_exposure
from .products.exposure import write_exposure as write_exposure
from .products.matches import read_match_list as read_match_list
from .runs.arguments import ProcessCcdArguments as ProcessCcdArguments
from .runs.run import run_process_ccd as run_process_ccd
from .simulate.dataset import write_dataset as write_dataset
from .simulate.effects import Effects as Effects
from .simulate.scene import Scene as Scene
from .task_metadata import TaskMetadata as TaskMetadata
from .truth.validate import validate_output as validate_output

__version__: str

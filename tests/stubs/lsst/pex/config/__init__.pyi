"""What mypy is told about lsst.pex.config: the value of a field has the type that the field was declared with."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, ClassVar, Generic, Literal, Self, TypeVar, overload

_T = TypeVar("_T")
_K = TypeVar("_K")

class FieldValidationError(ValueError):
    fieldName: str
    def __init__(self, field: Field[Any], config: Config, msg: str) -> None: ...

class Config:
    _fields: ClassVar[Mapping[str, Any]]
    def __init__(self, **fields: object) -> None: ...
    def __iter__(self) -> Iterator[str]: ...
    def __contains__(self, name: str) -> bool: ...
    def setDefaults(self) -> None: ...
    def validate(self) -> None: ...
    def freeze(self) -> None: ...
    def toDict(self) -> dict[str, Any]: ...
    def update(self, **fields: object) -> None: ...
    def saveToStream(self, outfile: IO[str], root: str = "config", skipImports: bool = False) -> None: ...

class _Described(Generic[_T]):
    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> _T: ...
    def __set__(self, instance: object, value: _T) -> None: ...

class Field(_Described[_T]):
    dtype: type
    @overload
    def __init__(
        self: Field[_K],
        doc: str,
        dtype: type[_K],
        default: _K | None = None,
        check: Callable[[_K], bool] | None = None,
        optional: Literal[False] = False,
    ) -> None: ...
    @overload
    def __init__(
        self: Field[_K | None],
        doc: str,
        dtype: type[_K],
        default: _K | None = None,
        check: Callable[[_K], bool] | None = None,
        *,
        optional: Literal[True],
    ) -> None: ...

class RangeField(Field[_T]):
    def __init__(
        self,
        doc: str,
        dtype: type[_T],
        default: _T | None = None,
        optional: Literal[False] = False,
        min: _T | None = None,
        max: _T | None = None,
        inclusiveMin: bool = True,
        inclusiveMax: bool = False,
    ) -> None: ...

class ChoiceField(Field[_T]):
    allowed: Mapping[_T, str]
    def __init__(
        self,
        doc: str,
        dtype: type[_T],
        allowed: Mapping[_T, str],
        default: _T | None = None,
        optional: bool = False,
    ) -> None: ...

class ListField(_Described[list[_T]]):
    def __init__(
        self,
        doc: str,
        dtype: type[_T],
        default: Sequence[_T] | None = None,
        optional: bool = False,
        listCheck: Callable[[Sequence[_T]], bool] | None = None,
        itemCheck: Callable[[_T], bool] | None = None,
        length: int | None = None,
        minLength: int | None = None,
        maxLength: int | None = None,
    ) -> None: ...

class DictField(_Described[dict[_K, _T]]):
    def __init__(
        self,
        doc: str,
        keytype: type[_K],
        itemtype: type[_T],
        default: Mapping[_K, _T] | None = None,
        optional: bool = False,
        dictCheck: Callable[[Mapping[_K, _T]], bool] | None = None,
        itemCheck: Callable[[_T], bool] | None = None,
        keyCheck: Callable[[_K], bool] | None = None,
    ) -> None: ...

class ConfigField(_Described[_T]):
    dtype: type
    def __init__(self, doc: str, dtype: type[_T], default: object = None) -> None: ...

class ConfigurableField(_Described[Any]):
    def __init__(self, doc: str, target: Callable[..., Any]) -> None: ...

class Registry(dict[str, Any]):
    def register(self, name: str, target: Callable[..., Any], ConfigClass: type[Config] | None = None) -> None: ...
    def makeField(self, doc: str, default: object = None, multi: bool = False) -> Any: ...

def makeRegistry(doc: str, configBaseType: type[Config] = ...) -> Registry: ...

"""A pretended accelerator: its tensors say that they are on another device, and compute on the CPU.

Code that runs on it, and gives what it gives on the CPU, keeps its tensors together as a real accelerator demands. What
is not covered is in docs/gpu.md: autocast computes in float32, CUDA graphs and streams do not exist.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from enum import IntEnum
from importlib import import_module
from typing import Any, Self
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._foreach_utils import _get_fused_kernels_supported_devices
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

PRETENDED = torch.device("meta")  # the one label, but for the CPU's, that autograd accepts in a build without any
OPTIMISERS = import_module("torch.optim.optimizer")  # torch.optim hides it
OF_HOST_DATA = (torch.tensor, torch.as_tensor, torch.asarray)
READS = {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output}  # of operators that wait for the device
COPIES = ("_to_copy", "copy_")
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put")
PINNED = "pretended_pinned"  # the attribute of a tensor in pretended page-locked memory


class Misuse(Exception):
    """Something that a real accelerator would refuse, or wait for."""


class Care(IntEnum):
    """How careful code must be."""

    USUAL = 0  # devices do not mix
    STEADY = 1  # and nothing waits for the device
    RECORDED = 2  # and nothing comes from the host at all, as in a CUDA graph


class PretendedTensor(torch.Tensor):
    """A tensor on the pretended device; ``inner`` has its values, on the CPU."""

    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, inner: Tensor) -> "PretendedTensor":
        wrapper: PretendedTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=PRETENDED,
        )
        wrapper.inner = inner
        return wrapper

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        """With it, ``Module.to`` exchanges parameters whole, ``inner`` included."""
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Tensor], *others: object) -> "PretendedTensor":
        return PretendedTensor(inner["inner"])

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"PretendedTensor({self.inner})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise Misuse(f"{func} on the pretended device, outside of `PretendedDevice`")


class PretendedDevice:
    """While it is entered, ``torch.device`` `PRETENDED` is an accelerator. Raises Misuse where code misuses it."""

    def __init__(self) -> None:
        self.care = Care.USUAL
        self.reads = 0  # of values, and copies to the CPU
        self._entered = ExitStack()

    def __enter__(self) -> Self:
        fused = [*_get_fused_kernels_supported_devices(), PRETENDED.type]
        for each in (
            warnings.catch_warnings(),
            mock.patch.object(OPTIMISERS, _get_fused_kernels_supported_devices.__name__, lambda: [*fused]),
            mock.patch("torch.autocast", _Autocast),
            mock.patch("torch.Generator", _Generator),
            _Functions(self),
            _Operators(self),
        ):
            self._entered.enter_context(each)
        warnings.filterwarnings("ignore", "for .*: copying from a non-meta parameter")  # which PyTorch calls a no-op
        return self

    def __exit__(self, *error: object) -> None:
        self._entered.close()

    @contextmanager
    def steady(self) -> Iterator[None]:
        """Within it, reading a value, and copying to the device from memory that is not page-locked, is misuse."""
        yield from self._careful(Care.STEADY)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Within it, so is whatever else a CUDA graph cannot record."""
        yield from self._careful(Care.RECORDED)

    def refuse(self, care: Care, what: str) -> None:
        """Raises Misuse where code has to be so careful."""
        if self.care >= care:
            raise Misuse(what)

    def count_read(self, what: str) -> None:
        self.reads += 1
        self.refuse(Care.STEADY, what)

    def _careful(self, care: Care) -> Iterator[None]:
        before, self.care = self.care, care
        try:
            yield
        finally:
            self.care = before


class _Operators(TorchDispatchMode):
    """Computes on the CPU what concerns the device, and checks it."""

    def __init__(self, device: PretendedDevice) -> None:
        super().__init__()
        self._device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if torch.is_inference_mode_enabled():  # operators made of others arrive whole then
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        on_device = [each for each in tree_leaves((args, kwargs)) if isinstance(each, PretendedTensor)]
        self._check(func, args, kwargs, on_device)
        asked = kwargs.get("device")
        there = bool(on_device) if asked is None else _is_pretended(asked)
        if asked is not None:
            kwargs["device"] = torch.device("cpu")
        wrappers = {id(each.inner): each for each in on_device}
        found = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
        if torch.Tag.inplace_view in func.tags and on_device:
            _follow(func, args, kwargs)
        return tree_map(lambda each: wrappers[id(each)] if id(each) in wrappers else _wrapped(each, there), found)

    def _check(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], on_device: list[Any]) -> None:
        name = func.overloadpacket.__name__
        if name in COPIES:
            self._check_copy(name, args, kwargs)
        elif on_device:
            if name in INDEXING:
                args = self._without_indices(name, args)
            elif READS & set(func.tags):
                self._device.count_read(f"{func} reads from the device")
            self._check_mixture(func, args, kwargs)

    def _check_copy(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        if name == "copy_":
            target, source = args[:2]
            to, waits = isinstance(target, PretendedTensor), not (args[2:] or [kwargs.get("non_blocking")])[0]
        else:
            source, asked, waits = args[0], kwargs.get("device"), not kwargs.get("non_blocking")
            to = isinstance(source, PretendedTensor) if asked is None else _is_pretended(asked)
        if isinstance(source, PretendedTensor) and not to:
            self._device.count_read("a copy to the CPU")
        elif to and not isinstance(source, PretendedTensor):
            self._device.refuse(Care.RECORDED, f"a copy of {tuple(source.shape)} from the CPU")
            if waits or not hasattr(source, PINNED):
                self._device.refuse(
                    Care.STEADY, f"a copy of {tuple(source.shape)} from the CPU that waits: see `to_device`"
                )

    def _without_indices(self, name: str, args: Sequence[Any]) -> Sequence[Any]:
        """Indices may be on the CPU, which copies them; a mask is counted, but for the filling with one value."""
        indices = [each for each in args[1] if each is not None]
        fills = "put" in name and isinstance(args[2], Tensor) and args[2].numel() == 1
        if any(each.dtype in (torch.bool, torch.uint8) for each in indices) and not fills:
            self._device.count_read(f"{name} by a mask")
        if isinstance(args[0], PretendedTensor):
            if not all(isinstance(each, PretendedTensor) for each in indices):
                self._device.refuse(Care.STEADY, f"{name} by indices on the CPU")
            return [args[0], *args[2:]]
        return args

    def _check_mixture(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        for each, argument in zip(args, func._schema.arguments, strict=False):
            if _on_cpu(each) and argument.alias_info is not None and argument.alias_info.is_write:
                raise Misuse(f"{func} writes to the CPU what is on the device")
        for each in filter(_on_cpu, tree_leaves((args, kwargs))):
            if each.ndim or torch.Tag.pointwise not in func.tags:
                raise Misuse(f"{func} mixes devices: {tuple(each.shape)} is on the CPU")
            self._device.refuse(Care.RECORDED, f"{func} of a number on the CPU, which a recording would keep")


class _Functions(TorchFunctionMode):
    """What a dispatch mode does not see: host data, page-locked memory, and where a generator is."""

    def __init__(self, device: PretendedDevice) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        first = args[0] if args else None
        asked = kwargs.get("device", first.device if isinstance(first, PretendedTensor) else None)
        there = asked is not None and _is_pretended(asked)
        if isinstance(kwargs.get("generator"), _Generator) and kwargs["generator"].pretended != there:
            raise Misuse(f"{func.__name__} draws from a generator on another device")
        if there and func in (*OF_HOST_DATA, Tensor.new_tensor):
            return self._of_host_data(func, args, kwargs)
        if there and func is Tensor.tolist:
            return args[0].cpu().tolist()
        if func is Tensor.pin_memory:
            pinned = args[0].clone()
            setattr(pinned, PINNED, True)
            return pinned
        return func(*args, **kwargs)

    def _of_host_data(self, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Tensor:
        self._device.refuse(Care.STEADY, f"{func.__name__} of host data on the device")
        if func is Tensor.new_tensor:
            func, args = torch.tensor, args[1:]
        made: Tensor = func(*args, **{**kwargs, "device": "cpu"})
        return made.to(PRETENDED)


class _Autocast(torch.autocast):
    """Without effect on the pretended device."""

    def __init__(self, device_type: str, dtype: torch.dtype | None = None, enabled: bool = True, **others: Any) -> None:
        pretended = _is_pretended(device_type)
        super().__init__("cpu" if pretended else device_type, dtype, enabled and not pretended, **others)


class _Generator(torch.Generator):
    """On the CPU, wherever it says that it is."""

    pretended: bool

    def __new__(cls, device: torch.device | str = "cpu") -> "_Generator":
        pretended = _is_pretended(device)
        generator = super().__new__(cls, "cpu" if pretended else device)
        generator.pretended = pretended
        return generator


def _is_pretended(device: torch.device | str) -> bool:
    return torch.device(device).type == PRETENDED.type


def _on_cpu(each: object) -> bool:
    return isinstance(each, Tensor) and not isinstance(each, PretendedTensor)


def _inner(each: Any) -> Any:
    return each.inner if isinstance(each, PretendedTensor) else each


def _wrapped(each: Any, there: bool) -> Any:
    if not there or not _on_cpu(each):
        return each
    with torch.inference_mode(False):  # autograd gives wrappers of views a version, which inference tensors lack
        return PretendedTensor(each)


def _follow(func: Any, args: Any, kwargs: Any) -> None:
    """Gives a tensor the shape that an operator in place has given to its values; as PyTorch's wrappers do."""
    included = torch._C._meta_in_tls_dispatch_include()
    with no_dispatch():
        torch._C._set_meta_in_tls_dispatch_include(True)
        try:
            func(*args, **kwargs)
        finally:
            torch._C._set_meta_in_tls_dispatch_include(included)

"""Linear layers by oneMKL's half-precision product, for CPUs that multiply and add float16 themselves (AVX512-FP16).

What a precision names as its kernels (:class:`.precisions.Kernels`), here for ``float16-mkl``.

torch widens float16 to float32 before it multiplies on such a CPU, which is never faster than float32. MKL multiplies
and adds in float16, twice as much at a time, with weights that are packed once. The functions are those of the oneMKL
reference for C: ``cblas_?gemm_pack`` and ``cblas_?gemm_compute``.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, files
from typing import Any

from postmill.shards.runtime.errors import PostmillError

INSTALL = "pip install 'postmill[mkl]'"
_ROW_MAJOR, _NOT_TRANSPOSED, _TRANSPOSED, _PACKED, _SECOND_MATRIX = 101, 111, 112, 151, 162  # of mkl_cblas.h
_ONE, _ZERO = 0x3C00, 0  # 1 and 0 as the bits of a float16
_LP64, _SEQUENTIAL = 0, 1  # of mkl_service.h: indices of 32 bits, and no threads of its own
_TYPICAL_ROWS = 512  # tokens of a batch, about: packing takes it as a hint
_ALIGNMENT = 64  # bytes to which MKL wants its memory aligned


def check() -> None:
    """Have the library ready.

    Raises:
        PostmillError: The package is not installed, or its library cannot be loaded.
    """
    _library()


def pack(network: Any) -> None:
    """Have every linear layer of ``network``, which is float16 on the CPU, compute by MKL, with weights packed once."""
    import torch

    linear: list[Any] = [module for module in network.modules() if type(module) is torch.nn.Linear]
    for layer in linear:
        layer.forward = _packed(layer.weight.detach(), layer.bias)
        layer.weight = None  # the packed copy takes its place


def _packed(weight: Any, bias: Any) -> Callable[[Any], Any]:
    """Return the function of a linear layer, safe to call from several threads.

    Args:
        weight: Shape (outputs, inputs), float16.
        bias: Shape (outputs,), float16, or None.
    """
    import torch

    library = _library()
    outputs, inputs = weight.shape
    weight = weight.contiguous()
    size = library.cblas_hgemm_pack_get_size(_SECOND_MATRIX, _TYPICAL_ROWS, outputs, inputs)
    memory = torch.empty(size + _ALIGNMENT, dtype=torch.uint8)
    packed = memory[-memory.data_ptr() % _ALIGNMENT :]
    library.cblas_hgemm_pack(
        _ROW_MAJOR,
        _SECOND_MATRIX,
        _TRANSPOSED,
        _TYPICAL_ROWS,
        outputs,
        inputs,
        _ONE,
        weight.data_ptr(),
        inputs,
        packed.data_ptr(),
    )

    def forward(states: Any) -> Any:
        rows = states.reshape(-1, inputs).contiguous()
        product = rows.new_empty(len(rows), outputs)
        if bias is not None:
            product.copy_(bias)
        if len(rows):
            library.cblas_hgemm_compute(
                *(_ROW_MAJOR, _NOT_TRANSPOSED, _PACKED, len(rows), outputs, inputs, rows.data_ptr(), inputs),
                *(packed.data_ptr(), inputs, _ZERO if bias is None else _ONE, product.data_ptr(), outputs),
            )
        return product.view(*states.shape[:-1], outputs)

    return forward


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        libraries = [file for file in files("mkl") or () if file.name.startswith("libmkl_rt.so")]
    except PackageNotFoundError:
        libraries = []
    if not libraries:
        raise PostmillError("float16-mkl needs the package mkl, which is not installed", hint=f"install it: {INSTALL}")
    path = libraries[0].locate()
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise PostmillError(
            f"MKL cannot be loaded: {error}", place=str(path), hint=f"install it anew: {INSTALL}"
        ) from error
    library.MKL_Set_Interface_Layer(_LP64)
    library.MKL_Set_Threading_Layer(_SEQUENTIAL)  # the batches are spread over the cores already
    index, half, address = ctypes.c_int, ctypes.c_uint16, ctypes.c_void_p
    library.cblas_hgemm_pack_get_size.argtypes = (index,) * 4
    library.cblas_hgemm_pack_get_size.restype = ctypes.c_size_t
    library.cblas_hgemm_pack.argtypes = (*(index,) * 6, half, address, index, address)
    library.cblas_hgemm_pack.restype = None
    library.cblas_hgemm_compute.argtypes = (*(index,) * 6, address, index, address, index, half, address, index)
    library.cblas_hgemm_compute.restype = None
    return library

"""Compiling functions to machine code, once a machine."""

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.np import linalg


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call, to run without the GIL.

    The machine code is kept beside the package, or in the user's cache folder where the package is read-only; where
    that cannot be written to either, every process compiles. It is kept by the content of the one source file: a
    kernel may call kernels of its own file only.
    """
    try:
        compiled: Callable[..., Any] = njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no place for its cache
        compiled = njit(nogil=True)(function)
    return compiled


def _spare_scipy() -> None:
    """Keep numba from importing scipy.linalg with its first kernel.

    It does so only to learn whether that is there, which takes a quarter of a second and 15 MB. Code that calls BLAS
    still asks for it when it is compiled.
    """
    ensure, linalg.ensure_blas = linalg.ensure_blas, lambda: None
    try:
        from numba.np import arraymath  # noqa: F401
    finally:
        linalg.ensure_blas = ensure


_spare_scipy()

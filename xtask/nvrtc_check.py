"""Compiles every kernel under crates/kernels/cuda with NVRTC for compute 8.0, 9.0a and 10.0. Needs no GPU.

Run: pip install nvidia-cuda-nvrtc && python xtask/nvrtc_check.py
"""
import ctypes, glob, pathlib, site, sys, time

ROOT = pathlib.Path(__file__).resolve().parents[1]


def library():
    for place in site.getsitepackages():
        found = glob.glob(f"{place}/nvidia/**/libnvrtc.so.*", recursive=True)
        if found:
            return ctypes.CDLL(found[0])
    sys.exit("libnvrtc is missing; hint: pip install nvidia-cuda-nvrtc")


def compile_one(nvrtc, path, architecture):
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), path.read_bytes(), path.name.encode(), 0, None, None) == 0
    options = [f"--gpu-architecture={architecture}".encode(), b"-default-device", b"--std=c++17"]
    started = time.time()
    status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    print(f"{path.name:32} {architecture:12} {'ok' if status == 0 else 'FAILED'}  {1000 * (time.time() - started):.0f} ms")
    if log.value.strip():
        print(log.value.decode())
    return status == 0


nvrtc = library()
kernels = sorted((ROOT / "crates/kernels/cuda").glob("*.cu"))
results = [compile_one(nvrtc, path, a) for path in kernels for a in ("compute_80", "sm_90a", "sm_100")]
sys.exit(0 if results and all(results) else 1)

"""The machine that made-up results were measured on."""

MACHINE = {
    "processor": "A processor",
    "cores": 2,
    "system": "Linux 6",
    "python": "3.11.7",
    "sha256_mb_per_s": 1750.0,
    "python_ms": 2.7,
    "fsync_ms": 0.4,
    "loopback_us": 6.1,
}

"""`python -m benchmarks.independent`."""

from benchmarks.independent.run import main

if __name__ == "__main__":
    raise SystemExit(main())

"""``python -m benchmarks NAME``: run one benchmark; without a name, list them."""

from benchmarks.runner import main

if __name__ == "__main__":
    main()

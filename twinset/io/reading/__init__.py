"""Read CSV files: their layout, the notation of their cells, and options where several readings fit."""

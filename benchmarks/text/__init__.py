"""What synthetic texts are good for, measured on real ones."""

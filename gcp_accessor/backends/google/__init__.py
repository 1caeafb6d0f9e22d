"""What alone imports Google's clients."""

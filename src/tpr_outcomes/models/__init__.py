"""What might explain it: curves, candidates and the engines that fit them."""

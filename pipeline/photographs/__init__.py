"""Real photographs: where they come from, how they are cut, split and stored."""

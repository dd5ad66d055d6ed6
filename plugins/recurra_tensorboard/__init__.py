"""Each epoch's numbers as TensorBoard event files, where they are asked for."""

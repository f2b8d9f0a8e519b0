// So that a room without code yet is a library all the same.

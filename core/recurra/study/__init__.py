"""The study: whether generated samples help a recogniser, measured so that nothing else differs."""

"""Engine of `image.meshes`."""

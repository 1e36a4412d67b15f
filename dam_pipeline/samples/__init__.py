"""Sample media of our own: pictures drawn by arithmetic, free to ship, whose content is known exactly."""

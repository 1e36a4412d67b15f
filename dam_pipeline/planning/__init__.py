"""What there is to do, in which order, and how long it will take; nothing is run or written here."""

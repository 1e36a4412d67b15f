"""Scripts that train the weights this project ships; nothing in the pipeline imports them."""

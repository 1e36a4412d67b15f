"""Search: the rows of the vector store made from derived files, and queries answered from it."""

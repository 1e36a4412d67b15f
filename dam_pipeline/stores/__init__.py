"""Where results are kept: derived files (the truth), the journal, the vector store (an index)."""

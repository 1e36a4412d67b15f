"""What a picture is of: a vocabulary, its terms scored against stored vectors, colours, people's word."""

"""Reading which of several choices a text means: the words, what labels say, and the sentence."""

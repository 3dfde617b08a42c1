"""The protocol of a master and its workers: sockets, encryption, messages, and the codecs of their contents."""

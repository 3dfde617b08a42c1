"""What a master and its workers send to each other: sockets, encryption, messages, and the codecs of their contents."""

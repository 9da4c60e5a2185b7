"""Images, films and sound: read, checked and varied."""

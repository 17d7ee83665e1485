"""What was refused: reading the dead-letter topic, and sending its messages again."""

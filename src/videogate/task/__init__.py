"""What a task is: plain values, states and errors. Imports nothing of ours and no third party."""

"""What finished runs gave: predictions, scores, intervals, comparisons."""

"""Evaluation: texts to rows, batches of rows to answers, answers to scores."""

"""What agents remember: records found again by what they mean, in layers that training keeps and evaluation drops."""

"""What is made of a closed result without being asked: report, picture, summary, figures."""

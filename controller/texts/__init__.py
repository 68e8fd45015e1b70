"""What people are told, and the words of the audit trail, in English and in Chinese."""

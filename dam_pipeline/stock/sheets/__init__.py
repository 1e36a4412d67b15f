"""Stock records in spreadsheets, CSV and XLSX, for people who work in them; and what came back."""

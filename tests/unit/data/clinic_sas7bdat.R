# Makes clinic.sas7bdat of the clinic of tests/unit/clinic_formats.py; run in this folder:
#   python -m tests.unit.clinic_formats /tmp/formats      (in the root of the repository)
#   Rscript clinic_sas7bdat.R /tmp/formats/clinic.xpt
# R 4.2.2, haven 2.5.1. A test compares what is read with the clinic, so the file cannot drift unseen.
library(haven)
clinic <- read_xpt(commandArgs(trailingOnly = TRUE)[1])
suppressWarnings(write_sas(clinic, "clinic.sas7bdat"))

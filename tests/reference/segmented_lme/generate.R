# Rscript generate.R FOLDER      (FOLDER: written by `benchmarks/random_threshold_study.py export FOLDER`)
# Writes, beside this script's working folder, expected.csv (segmented.lme on every data set),
# common.csv (nlme at fixed common thresholds, ML) and input.csv (the first data sets of the weak worlds).
suppressMessages({library(nlme); library(segmented)})
folder <- commandArgs(TRUE)[1]
files <- sort(list.files(folder, "^(weak|strong)_[024]_[0-9]+[.]csv$"))
world <- sub("^(weak|strong)_([024])_.*", "\\1, sd \\2", files)
replicate <- as.integer(sub("^.*_([0-9]+)[.]csv$", "\\1", files))

# What generated the data; the fullest random part of help(segmented.lme); and bootstrap restarts, which
# segmented.lme itself suggests when it stops at its iteration limit. The last two are slow: fewer data sets.
truth <- list(patient = pdDiag(~ 1 + G0))
full <- list(patient = pdDiag(~ 1 + dose + U + G0))
models <- list(
  list(name = "segmented.lme, 1 + G0", part = truth, restarts = 0, below = Inf),
  list(name = "segmented.lme, 1 + x + U + G0", part = full, restarts = 0, below = 3),
  list(name = "segmented.lme, 1 + G0, 5 restarts", part = truth, restarts = 5, below = 1))

fit <- function(d, part, restarts) {
  said <- character()
  began <- proc.time()[[1]]
  row <- tryCatch(withCallingHandlers({
    o <- do.call(lme, list(fixed = pain ~ visit + dose, random = ~ 1 | patient, data = d, method = "ML"))
    os <- segmented(o, ~ dose, random = part, data = d, control = seg.control(n.boot = restarts, display = FALSE))
    interval <- confint(os, "G0")          # the package's own Wald interval
    list(estimate = fixef(os)[["G0"]], low = interval[1], high = interval[2], slope = fixef(os)[["U"]],
         sd_threshold = as.numeric(VarCorr(os$lme.fit)["G0", "StdDev"]),
         log_likelihood = as.numeric(logLik(os$lme.fit)), status = "converged", note = "")
  }, warning = function(w) { said <<- c(said, conditionMessage(w)); invokeRestart("muffleWarning") }),
  error = function(e) list(estimate = NA, low = NA, high = NA, slope = NA, sd_threshold = NA,
                           log_likelihood = NA, status = "failed", note = conditionMessage(e)))
  row$warnings <- length(said)
  if (length(said)) row$note <- paste(unique(c(row$note[row$note != ""], said)), collapse = " | ")
  row$note <- gsub("[\n,\"]+", " ", row$note)
  row$seconds <- round(proc.time()[[1]] - began, 1)
  if (row$status != "failed" && !is.finite(row$estimate + row$low + row$high)) row$status <- "failed"
  row
}

rows <- list()
for (k in seq_along(files)) {
  d <- read.csv(file.path(folder, files[k])); d$patient <- factor(d$patient)
  for (m in models) if (replicate[k] < m$below) {
    row <- fit(d, m$part, m$restarts)
    number <- vapply(row, is.numeric, TRUE)
    row[number] <- lapply(row[number], signif, 7)
    rows[[length(rows) + 1]] <- data.frame(world = world[k], method = m$name, replicate = replicate[k], row)
  }
}
write.csv(do.call(rbind, rows), "expected.csv", row.names = FALSE, na = "")

# One common threshold, held fixed: an ordinary mixed model. ML, tight tolerance.
first <- which(replicate == 0 & startsWith(world, "weak"))
common <- list()
control <- lmeControl(msTol = 1e-10, msMaxIter = 500, msMaxEval = 2000, returnObject = TRUE)
for (k in first) for (tau in c(8, 12, 15.5)) for (part in c("intercept", "intercept_slope")) {
  d <- read.csv(file.path(folder, files[k])); d$hinge <- pmax(d$dose - tau, 0)
  random <- if (part == "intercept") ~ 1 | patient else ~ 1 + visit | patient
  o <- suppressWarnings(do.call(lme, list(
    fixed = pain ~ visit + dose + hinge, random = random, data = d, method = "ML", control = control)))
  common[[length(common) + 1]] <- data.frame(
    world = world[k], tau = tau, random = part, log_likelihood = sprintf("%.8f", as.numeric(logLik(o))),
    slope = signif(fixef(o)[["hinge"]], 8), residual_sd = signif(o$sigma, 8))
}
write.csv(do.call(rbind, common), "common.csv", row.names = FALSE)

input <- lapply(first, function(k) cbind(world = world[k], read.csv(file.path(folder, files[k]))))
write.csv(do.call(rbind, input), "input.csv", row.names = FALSE)

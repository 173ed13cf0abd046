# Started by benchmarks/run.py as a server, so that its fits alternate with ours. One request a line:
#   load FILE                 y, t, dose, hinge, patient
#   fit PACKAGE MODEL METHOD  PACKAGE lme4, lme4-refit or nlme; MODEL slope or slope+car1; METHOD ml or reml
#   predict METHOD            lme4's predictions of every rating, random effects included, from a fit made before
#   verdict FILE              five nlme CAR(1) fits of a clinic's ratings
#   bend FILE                 one segmented.lme fit of the same
#   versions
# and one answer a line: CPU seconds and log-likelihood, or "error: ..."
suppressMessages({have <- vapply(c("lme4", "nlme", "segmented"), requireNamespace, TRUE, quietly = TRUE); library(nlme)})
d <- NULL; kept <- list()

seconds <- function(f) {          # CPU time of one call, averaged over calls until 0.1 s are spent
  value <- NULL; calls <- 0; began <- sum(proc.time()[1:2])
  repeat {
    value <- suppressMessages(suppressWarnings(f())); calls <- calls + 1
    spent <- sum(proc.time()[1:2]) - began
    if (spent > 0.1) return(list(spent / calls, value))
  }
}
fit <- function(package, model, method) {
  reml <- method == "reml"
  if (package == "nlme") {
    correlation <- if (model == "slope+car1") corCAR1(form = ~ t | patient)
    f <- function() lme(y ~ t + dose + hinge, random = ~ t | patient, data = d, correlation = correlation,
                        method = toupper(method))
  } else {
    first <- function() lme4::lmer(y ~ t + dose + hinge + (t | patient), data = d, REML = reml)
    if (package == "lme4-refit" && is.null(kept[[method]])) kept[[method]] <<- suppressMessages(suppressWarnings(first()))
    f <- if (package == "lme4") first else function() lme4::refit(kept[[method]], d$y)
  }
  found <- seconds(f)
  sprintf("%.6g %.10g", found[[1]], as.numeric(logLik(found[[2]])))
}
predictions <- function(method) {
  o <- suppressMessages(suppressWarnings(
    lme4::lmer(y ~ t + dose + hinge + (t | patient), data = d, REML = method == "reml")))
  found <- seconds(function() predict(o, newdata = d))
  sprintf("%.6g %.10g", found[[1]], sum(found[[2]]^2))
}
bend <- function(file) {          # the first of three starting values that leads to a fit, as in peers.R
  r <<- read.csv(file); r$patient <<- factor(r$patient)
  o <- do.call(lme, list(pain ~ factor(visit) + baseline + dose, random = ~ 1 | patient, data = r, method = "ML"))
  for (psi in quantile(r$dose[r$dose > 0], c(0.5, 0.25, 0.75))) {
    one <- function() segmented::segmented(o, ~ dose, psi = psi, random = list(patient = pdDiag(~ 1)), data = r,
                                           control = segmented::seg.control(n.boot = 0))
    found <- tryCatch(seconds(one), error = function(e) NULL)
    if (!is.null(found)) return(sprintf("%.6g nan", found[[1]]))
  }
  stop("no starting value led to a fit")
}
verdict <- function(file) {       # visit as factor and the first rating, as in our background
  r <- read.csv(file); r$patient <- factor(r$patient)
  found <- seconds(function() for (k in 1:5) o <- lme(pain ~ factor(visit) + baseline + dose,
    random = ~ 1 | patient, correlation = corCAR1(form = ~ visit | patient), data = r, method = "ML"))
  sprintf("%.6g nan", found[[1]])
}
answer <- function(words) switch(words[1],
  load = { d <<- read.csv(words[2]); d$patient <<- factor(d$patient); kept <<- list(); "loaded" },
  fit = fit(words[2], words[3], words[4]),
  predict = predictions(words[2]), verdict = verdict(words[2]), bend = bend(words[2]),
  versions = paste0("R ", R.version$major, ".", R.version$minor, "; ",
                    paste(names(have)[have], vapply(names(have)[have], function(n) as.character(packageVersion(n)), ""),
                          collapse = "; ")))
input <- file("stdin", "r")
while (length(line <- readLines(input, 1))) {
  said <- tryCatch(answer(strsplit(line, " ")[[1]]), error = function(e) paste("error:", conditionMessage(e)))
  cat(gsub("\n", " ", said), "\n", sep = ""); flush(stdout())
}

# Rscript benchmarks/peers.R ratings.csv out.csv SLOW      (called by benchmarks/peers.py)
# ratings.csv: world, clinic, patient, visit, baseline, dose, pain; one row per rating after the first.
# segmented.lme runs on the first SLOW clinics of each world, everything else on all of them.
suppressMessages({library(nlme); library(segmented)})
arguments <- commandArgs(TRUE)
ratings <- read.csv(arguments[1])
slow <- as.integer(arguments[3])

# Calls as the help pages of davies.test, segmented and segmented.lme give them, with their defaults.
plain <- function(data, formula) {
  assign("d", data, globalenv())     # davies.test and segmented look for the data by name
  o <- eval(bquote(lm(.(formula), data = d)), globalenv())
  p <- davies.test(o, ~ dose)$p.value
  s <- tryCatch(segmented(o, seg.Z = ~ dose, npsi = 1), error = function(e) NULL)
  if (is.null(s) || is.null(s$psi)) return(list(p = p, note = "davies.test only: segmented found no breakpoint"))
  interval <- confint(s)
  list(p = p, estimate = interval[1, 1], low = interval[1, 2], high = interval[1, 3],
       change = unname(coef(s)[["U1.dose"]]))
}
# One common threshold. Left alone, segmented.lme often finds no starting value; the first of three that leads
# to a fit is taken. n.boot = 0, since each bootstrap restart costs another fit.
mixed <- function(d) {
  o <- do.call(lme, list(pain ~ visit + baseline + dose, random = ~ 1 | patient, data = d, method = "ML"))
  s <- NULL
  for (psi in quantile(d$dose[d$dose > 0], c(0.5, 0.25, 0.75))) if (is.null(s)) s <- tryCatch(
    segmented(o, ~ dose, psi = psi, random = list(patient = pdDiag(~ 1)), data = d,
              control = seg.control(n.boot = 0)), error = function(e) NULL)
  if (is.null(s)) stop("no starting value led to a fit")
  interval <- confint(s, "G0")
  row <- summary(s$lme.fit)$tTable["U", ]
  list(p = row[["p-value"]], estimate = fixef(s)[["G0"]], low = interval[1], high = interval[2],
       change = row[["Value"]])
}
methods <- list(
  list(name = "segmented, plain", below = Inf, run = function(d) plain(d, pain ~ dose)),
  list(name = "segmented, visit and baseline", below = Inf, run = function(d) plain(d, pain ~ visit + baseline + dose)),
  list(name = "segmented, visit as factor and baseline", below = Inf,
       run = function(d) plain(d, pain ~ factor(visit) + baseline + dose)),
  list(name = "segmented.lme, visit and baseline", below = slow, run = mixed))

one <- function(d, method) {
  said <- character()
  began <- sum(proc.time()[1:2])
  row <- tryCatch(withCallingHandlers(method$run(d), warning = function(w) {
    said <<- c(said, conditionMessage(w)); invokeRestart("muffleWarning") }),
    error = function(e) list(note = paste("error:", conditionMessage(e))))
  row$seconds <- sum(proc.time()[1:2]) - began
  row <- modifyList(list(p = NA, estimate = NA, low = NA, high = NA, change = NA, note = ""), row)
  row$note <- gsub("[\n,\"]+", " ", paste(unique(c(row$note[row$note != ""], said)), collapse = " | "))
  data.frame(world = d$world[1], method = method$name, clinic = d$clinic[1], row)
}
rows <- list()
invisible(lapply(methods[1:3], one, d = subset(ratings, world == ratings$world[1] & clinic == 0)))  # loads everything
for (d in split(ratings, list(ratings$clinic, ratings$world), drop = TRUE)) {
  d$patient <- factor(d$patient)
  for (method in methods) if (d$clinic[1] < method$below) rows[[length(rows) + 1]] <- one(d, method)
}
write.csv(do.call(rbind, rows), arguments[2], row.names = FALSE, na = "")
cat(R.version$major, ".", R.version$minor, "\n", sep = "")
for (name in c("segmented", "nlme")) cat(name, " ", as.character(packageVersion(name)), "\n", sep = "")

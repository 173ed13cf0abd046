# Writes expected.csv, predictions.csv and effects.csv. Run from this folder after simulate.R: Rscript generate.R
# lme4's own deviance function is minimised from many starts by several optimisers; the lowest deviance is kept.
suppressMessages({library(lme4); library(minqa)})
options(digits = 15)

scales <- c(regular = 1, irregular = 1, no_slope = 1, no_effects = 1, no_intercept = 1, balanced = 1, days = 100, car1 = 1, car1_nugget = 1)
files <- c(regular = "regular.csv", irregular = "irregular.csv", no_slope = "no_slope.csv", no_effects = "no_effects.csv",
           no_intercept = "no_intercept.csv",
           balanced = "balanced.csv", days = "days.csv", car1 = "../nlme/car1.csv", car1_nugget = "../nlme/car1_nugget.csv")

# The fixed part keeps its units (the REML likelihood depends on them); only the random slope's basis is rescaled.
formulas <- list(
  intercept       = pain ~ 1 + t + dose + hinge + (1 | patient),
  intercept_slope = pain ~ 1 + t + dose + hinge + (1 + basis | patient),
  intercept_log   = pain ~ 1 + t + dose + hinge + (1 + basis | patient))

positive_signs <- function(theta) {            # the deviance is the same under a sign change of a column of the factor
  if (length(theta) == 1) return(abs(theta))
  c(abs(theta[1]), theta[2] * sign(if (theta[1] == 0) 1 else theta[1]), abs(theta[3]))
}

minimise <- function(deviance, k) {
  starts <- if (k == 1) list(1, 0.05, 0.3, 3) else
    list(c(1, 0, 1), c(1, 0, .1), c(.3, .05, .05), c(1, .2, .01), c(1, -.2, .01), c(.01, .1, .01), c(2, -.5, .2))
  best <- list(par = starts[[1]], value = Inf)
  keep <- function(par, value) if (is.finite(value) && value < best$value) best <<- list(par = par, value = value)
  for (start in starts) {
    a <- bobyqa(start, deviance, control = list(rhobeg = .2, rhoend = 1e-10, maxfun = 20000)); keep(a$par, a$fval)
    b <- nlminb(start, deviance, control = list(rel.tol = 1e-15, x.tol = 1e-12, eval.max = 5000, iter.max = 5000))
    keep(b$par, b$objective)
    c <- Nelder_Mead(deviance, start, lower = rep(-Inf, k), upper = rep(Inf, k),
                     control = list(FtolAbs = 1e-14, FtolRel = 1e-16, XtolRel = 1e-12, maxfun = 20000))
    keep(c$par, c$fval)
  }
  for (round in 1:3) {
    a <- bobyqa(best$par, deviance, control = list(rhobeg = 1e-3, rhoend = 1e-11, maxfun = 20000)); keep(a$par, a$fval)
    b <- nlminb(best$par, deviance, control = list(rel.tol = 1e-15, x.tol = 1e-13)); keep(b$par, b$objective)
  }
  best
}

default_fit <- function(formula, data, reml) {
  said <- character()
  fit <- withCallingHandlers(lmer(formula, data, REML = reml),
    warning = function(w) { said <<- c(said, conditionMessage(w)); invokeRestart("muffleWarning") },
    message = function(m) { said <<- c(said, conditionMessage(m)); invokeRestart("muffleMessage") })
  short <- unlist(fit@optinfo$conv$lme4$messages)
  words <- c(if (any(grepl("singular", c(said, short)))) "default fit said: singular",
             if (any(grepl("failed to converge|max\\|grad", c(said, short)))) "default fit warned: not converged",
             if (any(grepl("scale", said))) "default fit said: rescale variables")
  list(log_likelihood = as.numeric(logLik(fit)), words = words)
}

polished_fit <- function(formula, data, reml) {
  parsed <- suppressMessages(suppressWarnings(lFormula(formula, data, REML = reml)))
  deviance <- do.call(mkLmerDevfun, parsed)
  best <- minimise(deviance, length(parsed$reTrms$theta))
  best$par <- positive_signs(best$par)
  value <- deviance(best$par)                  # leaves the environment at the optimum
  mkMerMod(environment(deviance), list(par = best$par, fval = value, conv = 0, message = ""), parsed$reTrms, fr = parsed$fr)
}

rows <- list(); predictions <- list(); random <- list()
for (name in names(files)) for (model in names(formulas)) for (reml in c(FALSE, TRUE)) {
  data <- read.csv(files[[name]])
  scale <- if (model == "intercept_slope") scales[[name]] else 1
  data$basis <- if (model == "intercept_log") log1p(data$t) else data$t / scale
  formula <- formulas[[model]]
  usual <- default_fit(formula, data, reml)
  fit <- polished_fit(formula, data, reml)
  cov <- as.matrix(VarCorr(fit)$patient); sds <- sqrt(diag(cov))
  relative <- sds / sigma(fit)
  slope <- length(sds) == 2
  corr <- if (slope && all(relative > 1e-6)) cov[1, 2] / prod(sds) else NA
  note <- c(if (any(relative < 1e-4) || (!is.na(corr) && 1 - abs(corr) < 1e-6)) "singular", usual$words)
  gain <- as.numeric(logLik(fit)) - usual$log_likelihood
  if (gain > 1e-6) note <- c(note, sprintf("default fit %.1e below this optimum", gain))
  if (gain < -1e-8) stop(name, model, reml, ": worse than the default fit by ", -gain)
  beta <- fixef(fit); se <- sqrt(diag(as.matrix(vcov(fit))))
  terms <- c(log_likelihood = as.numeric(logLik(fit)), setNames(beta, c("beta_intercept", "beta_t", "beta_dose", "beta_hinge")),
             setNames(se, c("se_intercept", "se_t", "se_dose", "se_hinge")), sd_intercept = unname(sds[1]),
             if (slope) c(sd_slope = unname(sds[2]) / scale, corr = corr), sigma = sigma(fit))
  method <- if (reml) "REML" else "ML"
  rows[[length(rows) + 1]] <- data.frame(dataset = name, model = model, method = method, term = names(terms),
    value = ifelse(is.na(terms), "", formatC(terms, digits = 15, format = "g")), optimum_note = paste(note, collapse = "; "))
  if (name %in% c("regular", "irregular") && model != "intercept_log") {
    predictions[[length(predictions) + 1]] <- data.frame(dataset = name, model = model, method = method,
      patient = data$patient, visit = data$visit, mean = formatC(predict(fit, re.form = NA), digits = 10, format = "g"),
      predicted = formatC(predict(fit), digits = 10, format = "g"))
    u <- ranef(fit)$patient
    random[[length(random) + 1]] <- data.frame(dataset = name, model = model, method = method, patient = as.integer(rownames(u)),
      intercept = formatC(u[, 1], digits = 10, format = "g"),
      slope = if (slope) formatC(u[, 2] / scale, digits = 10, format = "g") else "")
  }
}
write.csv(do.call(rbind, rows), "expected.csv", row.names = FALSE, quote = FALSE)
write.csv(do.call(rbind, predictions), "predictions.csv", row.names = FALSE, quote = FALSE)
write.csv(do.call(rbind, random), "effects.csv", row.names = FALSE, quote = FALSE)

# Writes expected.csv: mixed models with CAR(1) residuals, with and without nugget. Run from this folder: Rscript generate.R
# nlme is started from many values of range and nugget and the best log-likelihood kept. nlme often stops short, so a dense
# likelihood written out below (explicit covariance matrix per patient) is then maximised from nlme's best point and from
# other starts; where it finds a higher log-likelihood its estimates are filed, and optimum_note gives the gain.
suppressMessages(library(nlme))
options(digits = 15)

files <- c(regular = "../lme4/regular.csv", irregular = "../lme4/irregular.csv", days = "../lme4/days.csv",
           car1 = "car1.csv", car1_nugget = "car1_nugget.csv", steady = "steady.csv")
scales <- c(regular = 1, irregular = 1, days = 100, car1 = 1, car1_nugget = 1, steady = 1)
models <- list(
  car1                   = list(random = "none", nugget = FALSE),
  car1_nugget            = list(random = "none", nugget = TRUE),
  intercept              = list(random = "intercept", nugget = NA),
  intercept_slope        = list(random = "slope", nugget = NA),
  intercept_car1         = list(random = "intercept", nugget = FALSE),
  intercept_car1_nugget  = list(random = "intercept", nugget = TRUE),
  intercept_slope_car1   = list(random = "slope", nugget = FALSE),
  intercept_slope_car1_nugget = list(random = "slope", nugget = TRUE))
fixed <- pain ~ 1 + t + dose + hinge

# ---- dense likelihood: y_i ~ N(X_i b, sigma^2 (Z_i L L' Z_i' + R_i)), R_i = (1 - nugget) phi^|dt| off the diagonal, 1 on it
patients_of <- function(data) lapply(split(data, data$patient), function(d)
  list(X = cbind(1, d$t, d$dose, d$hinge), y = d$pain, Z = cbind(1, d$basis), gap = abs(outer(d$weeks, d$weeks, "-"))))

dense <- function(relative, phi, nugget, people, reml) {
  p <- 4; A <- matrix(0, p, p); a <- numeric(p); q <- 0; logdet <- 0; n <- 0
  for (one in people) {
    k <- length(one$y)
    V <- if (phi > 0) (1 - nugget) * phi^one$gap else matrix(0, k, k)
    diag(V) <- 1
    if (!is.null(relative)) V <- V + tcrossprod(one$Z %*% relative)
    U <- tryCatch(chol(V), error = function(e) NULL)
    if (is.null(U)) return(list(value = -Inf))
    W <- backsolve(U, cbind(one$X, one$y), transpose = TRUE)
    A <- A + crossprod(W[, 1:p, drop = FALSE]); a <- a + crossprod(W[, 1:p, drop = FALSE], W[, p + 1]); q <- q + sum(W[, p + 1]^2)
    logdet <- logdet + 2 * sum(log(diag(U))); n <- n + k
  }
  beta <- solve(A, a); rss <- q - sum(a * beta); m <- if (reml) n - p else n
  sigma2 <- rss / m
  value <- -0.5 * (m * log(2 * pi * sigma2) + m + logdet + if (reml) determinant(A)$modulus else 0)
  list(value = as.numeric(value), beta = drop(beta), se = sqrt(sigma2 * diag(solve(A))), sigma = sqrt(sigma2))
}

unpack <- function(par, model) {
  k <- c(none = 0, intercept = 1, slope = 3)[[model$random]]
  relative <- switch(model$random, none = NULL, intercept = matrix(c(par[1], 0, 0, 0), 2),
                     slope = matrix(c(par[1], par[2], 0, par[3]), 2))
  rest <- if (length(par) > k) par[(k + 1):length(par)] else numeric()
  list(relative = relative, phi = if (is.na(model$nugget)) 0 else plogis(rest[1]),
       nugget = if (isTRUE(model$nugget)) plogis(rest[2]) else 0)
}

polish <- function(starts, model, people, reml) {
  objective <- function(par) { u <- unpack(par, model); v <- -dense(u$relative, u$phi, u$nugget, people, reml)$value
                               if (is.finite(v)) v else 1e10 }
  best <- list(par = starts[[1]], value = Inf)
  for (s in starts) {
    b <- nlminb(s, objective, control = list(rel.tol = 1e-13, x.tol = 1e-10, eval.max = 2000, iter.max = 1000))
    if (b$objective < best$value) best <- list(par = b$par, value = b$objective)
  }
  for (round in 1:2) {
    if (length(best$par) > 1) {
      b <- optim(best$par, objective, control = list(reltol = 1e-15, maxit = 3000))
      if (b$value < best$value) best <- list(par = b$par, value = b$value)
    }
    b <- nlminb(best$par, objective, control = list(rel.tol = 1e-15, x.tol = 1e-13))
    if (b$objective < best$value) best <- list(par = b$par, value = b$objective)
  }
  best
}

# ---- nlme
fit_nlme <- function(model, data, reml) {
  method <- if (reml) "REML" else "ML"
  grid <- if (is.na(model$nugget)) list(NA) else if (model$nugget)
    unlist(lapply(c(.5, 2, 8), function(r) lapply(c(.1, .5), function(g) c(r, g))), recursive = FALSE) else list(.3, 2, 10)
  best <- NULL; failed <- 0; warned <- FALSE
  for (start in grid) {
    correlation <- if (is.na(model$nugget)) NULL else corExp(start, form = ~ weeks | patient, nugget = model$nugget)
    fit <- withCallingHandlers(tryCatch({
      if (model$random == "none") gls(fixed, data, correlation = correlation, method = method,
          control = glsControl(maxIter = 500, msMaxIter = 1000, tolerance = 1e-10, msTol = 1e-12))
      else lme(fixed, data, random = if (model$random == "slope") ~ basis | patient else ~ 1 | patient,
          correlation = correlation, method = method,
          control = lmeControl(maxIter = 500, msMaxIter = 1000, msMaxEval = 5000, niterEM = 50, tolerance = 1e-10,
                               msTol = 1e-12, returnObject = TRUE))
    }, error = function(e) NULL), warning = function(w) { warned <<- TRUE; invokeRestart("muffleWarning") })
    if (is.null(fit)) failed <- failed + 1
    else if (is.null(best) || as.numeric(logLik(fit)) > as.numeric(logLik(best))) best <- fit
  }
  list(fit = best, failed = failed, tried = length(grid), warned = warned)
}

parameters <- function(fit, model) {           # nlme's estimates on the scale of `unpack`
  relative <- numeric()
  if (model$random != "none") {
    D <- as.matrix(fit$modelStruct$reStruct$patient)       # relative to sigma^2
    relative <- if (model$random == "intercept") sqrt(D[1, 1]) else
      { l11 <- sqrt(D[1, 1]); l21 <- D[1, 2] / l11; c(l11, l21, sqrt(max(D[2, 2] - l21^2, 0))) }
  }
  rest <- numeric()
  if (!is.na(model$nugget)) {
    s <- coef(fit$modelStruct$corStruct, unconstrained = FALSE)
    rest <- qlogis(min(max(exp(-1 / s[["range"]]), 1e-100), 1 - 1e-12))
    if (model$nugget) rest <- c(rest, qlogis(min(max(s[["nugget"]], 1e-12), 1 - 1e-12)))
  }
  c(relative, rest)
}

other_starts <- function(model) {
  relative <- switch(model$random, none = list(numeric()), intercept = list(1, .1), slope = list(c(1, 0, .15), c(.3, .02, .02)))
  rest <- if (is.na(model$nugget)) list(numeric()) else if (model$nugget) list(c(0, -1), c(2, 0), c(-1, -3)) else list(-1, 1)
  unlist(lapply(relative, function(a) lapply(rest, function(b) c(a, b))), recursive = FALSE)
}

rows <- list()
for (name in names(files)) for (key in names(models)) for (reml in c(FALSE, TRUE)) {
  model <- models[[key]]; data <- read.csv(files[[name]])
  data$basis <- data$t / scales[[name]]; people <- patients_of(data)
  got <- fit_nlme(model, data, reml); note <- character(); nlme_value <- NA; starts <- other_starts(model)
  if (!is.null(got$fit)) {
    own <- parameters(got$fit, model); u <- unpack(own, model); nlme_value <- as.numeric(logLik(got$fit))
    check <- dense(u$relative, u$phi, u$nugget, people, reml)$value
    if (abs(check - nlme_value) > 2e-6) note <- c(note, sprintf("nlme's log-likelihood differs from the dense one by %.1e", nlme_value - check))
    starts <- c(list(own), starts)
  }
  best <- polish(starts, model, people, reml); u <- unpack(best$par, model)
  d <- dense(u$relative, u$phi, u$nugget, people, reml)
  if (got$failed) note <- c(note, sprintf("nlme failed from %d of %d starts", got$failed, got$tried))
  if (got$warned) note <- c(note, "nlme warned")
  gain <- d$value - nlme_value
  if (is.na(gain) || gain > 1e-6) note <- c(note, if (is.na(gain)) "nlme failed" else sprintf("nlme's best is %.1e below this optimum", gain))
  cov <- if (is.null(u$relative)) matrix(0, 2, 2) else tcrossprod(u$relative) * d$sigma^2
  sds <- sqrt(diag(cov)); slope <- model$random == "slope"
  corr <- if (slope && all(sds / d$sigma > 1e-4)) cov[1, 2] / prod(sds) else NA
  if (model$random != "none" && (sds[1] / d$sigma < 1e-4 || (slope && (sds[2] / d$sigma < 1e-4 || is.na(corr) || 1 - abs(corr) < 1e-6)))) note <- c(note, "singular")
  if (!is.na(model$nugget) && (u$phi < 1e-4 || u$phi > 1 - 1e-4)) note <- c(note, "phi at its boundary")
  if (isTRUE(model$nugget) && (u$nugget < 1e-5 || u$nugget > 1 - 1e-5)) note <- c(note, "nugget at its boundary")
  terms <- c(log_likelihood = d$value, log_likelihood_nlme = nlme_value,
             setNames(d$beta, c("beta_intercept", "beta_t", "beta_dose", "beta_hinge")),
             setNames(d$se, c("se_intercept", "se_t", "se_dose", "se_hinge")),
             if (model$random != "none") c(sd_intercept = sds[1]),
             if (slope) c(sd_slope = sds[2] / scales[[name]], corr = corr), sigma = d$sigma,
             if (!is.na(model$nugget)) c(phi = u$phi), if (isTRUE(model$nugget)) c(nugget = u$nugget))
  rows[[length(rows) + 1]] <- data.frame(dataset = name, model = key, method = if (reml) "REML" else "ML", term = names(terms),
    value = ifelse(is.na(terms), "", formatC(terms, digits = 15, format = "g")), optimum_note = paste(note, collapse = "; "))
  cat(name, key, reml, formatC(d$value, digits = 12), formatC(gain, digits = 3), note, "\n", sep = " | ")
}
write.csv(do.call(rbind, rows), "expected.csv", row.names = FALSE, quote = FALSE)

# Writes expected.csv. Run from this folder: Rscript generate.R
# Input: ../lme4/regular.csv and ../lme4/irregular.csv. Set aside from the fit: every row of the last ten patients
# (unseen), and the last row of every other patient with three rows or more (seen). Both are then predicted.
suppressMessages(library(lme4))
options(digits = 15)

formulas <- list(intercept       = pain ~ 1 + t + dose + hinge + (1 | patient),
                 intercept_slope = pain ~ 1 + t + dose + hinge + (1 + t | patient))
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-11, maxfun = 1e6))

# Variance of a new rating around its prediction, by Henderson's mixed model equations: with b = Lambda u,
# the inverse of [X'X, X'ZL; L'Z'X, L'Z'ZL + I] times sigma^2 is the covariance of (beta - beta_hat, u - u_hat).
equations_inverse <- function(fit) {
  X <- as.matrix(getME(fit, "X")); ZL <- as.matrix(getME(fit, "Z") %*% getME(fit, "Lambda"))
  solve(rbind(cbind(crossprod(X), crossprod(X, ZL)), cbind(crossprod(ZL, X), crossprod(ZL) + diag(ncol(ZL)))))
}

rows <- list()
for (name in c("regular", "irregular")) for (model in names(formulas)) for (reml in c(FALSE, TRUE)) {
  data <- read.csv(sprintf("../lme4/%s.csv", name))
  size <- table(data$patient)[as.character(data$patient)]
  last <- !duplicated(data$patient, fromLast = TRUE)
  unseen <- data$patient > max(data$patient) - 10
  wanted <- unseen | (last & size >= 3)
  fit <- suppressMessages(lmer(formulas[[model]], data[!wanted, ], REML = reml, control = tight))
  new <- data[wanted, ]
  expected <- predict(fit, new, allow.new.levels = TRUE)
  population <- predict(fit, new, re.form = NA)
  inverse <- equations_inverse(fit)
  q <- if (model == "intercept") 1 else 2
  D <- as.matrix(VarCorr(fit)$patient)[, , drop = FALSE]
  levels <- levels(getME(fit, "flist")$patient)
  p <- length(fixef(fit))
  L <- as.matrix(getME(fit, "Lambda"))
  se <- numeric(nrow(new))
  for (i in seq_len(nrow(new))) {
    x <- c(1, new$t[i], new$dose[i], new$hinge[i]); z <- c(1, new$t[i])[seq_len(q)]
    at <- match(as.character(new$patient[i]), levels)
    if (is.na(at)) {
      se[i] <- sqrt(sigma(fit)^2 * (1 + x %*% inverse[1:p, 1:p] %*% x) + z %*% D %*% z)
    } else {
      full <- numeric(nrow(L)); full[(at - 1) * q + seq_len(q)] <- z
      w <- c(x, full %*% L)
      se[i] <- sqrt(sigma(fit)^2 * (1 + w %*% inverse %*% w))
    }
  }
  text <- function(v) formatC(v, digits = 12, format = "g")
  rows[[length(rows) + 1]] <- data.frame(dataset = name, model = model, method = if (reml) "REML" else "ML",
    patient = new$patient, visit = new$visit, seen = as.integer(!unseen[wanted]), expected = text(expected),
    population = text(population), std_error = text(se))
}
write.csv(do.call(rbind, rows), "expected.csv", row.names = FALSE, quote = FALSE)

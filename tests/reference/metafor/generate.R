# Writes input.csv and expected.csv beside it: `Rscript generate.R`. R 4.2.2, metafor 3.8-1. Invented numbers.
library(metafor)
set.seed(20261125)
sets <- list(
  spread = data.frame(y = c(-1.9, -0.4, -1.1, 0.3, -2.4, -0.8), s = c(0.4, 0.5, 0.3, 0.6, 0.7, 0.35)),
  alike  = data.frame(y = c(-0.52, -0.48, -0.55, -0.45), s = c(0.3, 0.4, 0.2, 0.5)),
  three  = data.frame(y = c(-1.2, 0.1, -0.9), s = c(0.2, 0.25, 0.6))
)
input <- do.call(rbind, lapply(names(sets), function(n) cbind(set = n, sets[[n]])))
write.csv(input, "input.csv", row.names = FALSE)
out <- list()
for (n in names(sets)) {
  d <- sets[[n]]
  fit <- rma(y, sei = s, data = d, method = "REML", test = "adhoc", control = list(threshold = 1e-12, maxiter = 1000))
  b <- blup(fit)
  out[[n]] <- rbind(
    data.frame(set = n, what = c("tau2", "mean", "mean_error", "mean_low", "mean_high", "q", "p_value"), at = NA,
               value = c(fit$tau2, fit$beta, fit$se, fit$ci.lb, fit$ci.ub, fit$QE, fit$QEp)),
    data.frame(set = n, what = "blup", at = seq_len(nrow(d)), value = b$pred))
}
write.csv(format(do.call(rbind, out), digits = 12), "expected.csv", row.names = FALSE, quote = FALSE)

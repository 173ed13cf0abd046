# Rubin's rules with Barnard-Rubin degrees of freedom by mice::pool.scalar, and one real imputation by
# mice(method = "norm"). Run in this folder: Rscript generate.R     (R 4.2.2, mice 3.15.0)
suppressMessages(library(mice))
options(digits = 15)

# 1. Estimates and variances as they might come; the last two columns are n and k of pool.scalar
cases <- list(
  ordinary = list(Q = c(-1.21, -1.35, -1.02, -1.44, -1.18), U = c(0.041, 0.039, 0.044, 0.040, 0.042), n = 60, k = 1),
  infinite = list(Q = c(0.31, 0.29, 0.35), U = c(0.010, 0.012, 0.011), n = Inf, k = 1),
  little_missing = list(Q = c(2.0001, 2.0002, 1.9999, 2.0000), U = c(0.25, 0.25, 0.25, 0.25), n = 40, k = 3),
  much_missing = list(Q = c(0.1, 1.9, -0.7, 2.2, 0.4, 1.1), U = c(0.05, 0.06, 0.04, 0.05, 0.07, 0.05), n = 25, k = 2)
)

# 2. A two-visit trial with dropout depending on the first rating, imputed by Bayesian normal regression
set.seed(20261123)
n <- 80
y0 <- round(rnorm(n, 6, 1.5), 1)
y1 <- round(0.6 * y0 + rnorm(n, 0.5, 1.2), 1)
y1[runif(n) < plogis(4 - y0)] <- NA
write.csv(data.frame(y0, y1), "input.csv", row.names = FALSE)
imp <- mice(data.frame(y0, y1), m = 2000, method = "norm", maxit = 1, seed = 1, printFlag = FALSE)
filled <- lapply(1:2000, function(i) complete(imp, i))
change <- lapply(filled, function(d) d$y1 - d$y0)
Q <- sapply(change, mean)
U <- sapply(change, function(x) var(x) / n)
cases$two_visits <- list(Q = Q, U = U, n = n, k = 1)

rows <- lapply(names(cases), function(name) {
  with(cases[[name]], {
    p <- pool.scalar(Q, U, n = n, k = k)
    data.frame(case = name, n = n, k = k, m = p$m, qbar = p$qbar, ubar = p$ubar, b = p$b, t = p$t, df = p$df, r = p$r, fmi = p$fmi)
  })
})
out <- do.call(rbind, rows)
write.csv(format(out, digits = 15, trim = TRUE), "expected.csv", row.names = FALSE, quote = FALSE)
small <- cases[names(cases) != "two_visits"]
long <- do.call(rbind, lapply(names(small), function(name) data.frame(case = name, q = small[[name]]$Q, u = small[[name]]$U)))
write.csv(long, "cases.csv", row.names = FALSE, quote = FALSE)

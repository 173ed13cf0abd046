# Writes the input files. Run from this folder: Rscript simulate.R. Simulated; the parameters are invented and describe no patients.
suppressWarnings(RNGversion("4.2.0"))
hours <- c(1, 6, 12, 24, 48, 72)

# A soreness diary: 60 patients, 1-4 visits, entries at the planned hours, some missing, some visits without a diary.
set.seed(20260201)
visits <- do.call(rbind, lapply(1:60, function(i) data.frame(patient = i, visit = seq_len(sample(1:4, 1)))))
visits$twitches <- rnbinom(nrow(visits), size = 3, mu = 8)
frailty <- rnorm(60, 0, .4)[visits$patient]
sore <- runif(nrow(visits)) < .85
duration <- ifelse(sore, pmax(1.5, exp(log(16) + frailty + .03 * (visits$twitches - 8) + rnorm(nrow(visits), 0, .7))), 0)
peak <- pmin(10, pmax(2, round(4 + .12 * (visits$twitches - 8) + rnorm(nrow(visits)))))
diary <- do.call(rbind, lapply(seq_len(nrow(visits)), function(k) {
  level <- ifelse(hours < duration[k], pmax(1, ceiling(peak[k] * (1 - hours / duration[k]))), 0)
  data.frame(patient = visits$patient[k], visit = visits$visit[k], hours = hours, soreness = level)
}))
diary <- diary[runif(nrow(diary)) > .08, ]
without <- visits[sample(nrow(visits), 9), ]
diary <- diary[!paste(diary$patient, diary$visit) %in% paste(without$patient, without$visit), ]
late <- which(diary$hours == 1 & diary$soreness > 3)[c(3, 20)]          # soreness that starts after the first entry
diary$soreness[late] <- 0
write.csv(diary, "diary.csv", row.names = FALSE); write.csv(visits, "visits.csv", row.names = FALSE)

# Intervals whose ends are all different: many innermost intervals, some of them without mass.
set.seed(20260202)
event <- rweibull(150, 1.3, 20)
intervals <- do.call(rbind, lapply(event, function(e) {
  looks <- round(sort(runif(sample(2:6, 1), .5, 72)), 2)
  left <- max(c(0, looks[looks < e])); right <- min(c(Inf, looks[looks >= e]))
  data.frame(left = left, right = right)
}))
write.csv(intervals, "intervals.csv", row.names = FALSE)

# Courses: visit at which the course ended and why. 0 still in treatment, 1 response, 2 stopped without benefit, 3 stopped otherwise.
set.seed(20260203)
n <- 150
times <- cbind(1 + rgeom(n, .22), 1 + rgeom(n, .08), 1 + rgeom(n, .06), sample(4:12, n, TRUE))
visit <- apply(times, 1, min)
event <- apply(times, 1, which.min) %% 4
courses <- data.frame(patient = 1:n, visit = visit, dose = round(visit * rgamma(n, 4, .5)), event = event)
write.csv(courses, "courses.csv", row.names = FALSE)

# Relapses: counting process (start, stop], weeks after the course, several per patient, a covariate that changes at each relapse.
set.seed(20260204)
relapses <- do.call(rbind, lapply(1:80, function(i) {
  end <- runif(1, 10, 52); rate <- .05 * rgamma(1, 2, 2); dose <- round(rgamma(1, 4, .1)); at <- 0; rows <- NULL; tuned <- 0
  repeat {
    gap <- round(rexp(1, rate * exp(-.01 * (dose - 40) - .4 * tuned)), 1) + .1
    stop <- min(at + gap, round(end, 1)); status <- as.integer(at + gap < round(end, 1))
    if (stop > at) rows <- rbind(rows, data.frame(patient = i, start = at, stop = stop, status = status, dose = dose, tuned = tuned))
    if (!status) break
    at <- stop; tuned <- rbinom(1, 1, .5)
  }
  rows
}))
write.csv(relapses, "relapses.csv", row.names = FALSE)

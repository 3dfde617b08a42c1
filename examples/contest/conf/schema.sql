-- The contest's tables, and who may use them. The passwords guard nothing: the server listens where only this example is.
CREATE DATABASE IF NOT EXISTS contest;
USE contest;

CREATE USER IF NOT EXISTS 'contest'@'%' IDENTIFIED BY 'contest';
GRANT SELECT, INSERT, UPDATE, DELETE ON contest.* TO 'contest'@'%';
CREATE USER IF NOT EXISTS 'exporter'@'%' IDENTIFIED BY 'exporter';
GRANT PROCESS, REPLICATION CLIENT, SELECT ON *.* TO 'exporter'@'%';

CREATE TABLE users (
    id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(40) NOT NULL,
    password_hash CHAR(64) NOT NULL,
    UNIQUE KEY name (name)
) DEFAULT CHARSET = ascii;

CREATE TABLE contests (
    id INT UNSIGNED PRIMARY KEY,
    title VARCHAR(80) NOT NULL,
    submissions INT UNSIGNED NOT NULL DEFAULT 0,
    accepted INT UNSIGNED NOT NULL DEFAULT 0
) DEFAULT CHARSET = ascii;

CREATE TABLE problems (
    id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    contest_id INT UNSIGNED NOT NULL,
    title VARCHAR(80) NOT NULL,
    body TEXT NOT NULL,
    points INT UNSIGNED NOT NULL,
    KEY contest (contest_id)
) DEFAULT CHARSET = ascii;

CREATE TABLE submissions (
    id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    contest_id INT UNSIGNED NOT NULL,
    problem_id INT UNSIGNED NOT NULL,
    user_id INT UNSIGNED NOT NULL,
    verdict ENUM('accepted', 'wrong answer', 'time limit') NOT NULL,
    points INT UNSIGNED NOT NULL,
    code VARCHAR(20000) NOT NULL,
    submitted_at DATETIME(3) NOT NULL,
    -- All that the leaderboard reads.
    KEY leaderboard (contest_id, verdict, user_id, problem_id, points, submitted_at)
) DEFAULT CHARSET = ascii;

-- 50,000 users (the first 4,000 are the load test's: accounts.csv), 10 contests of 8 problems, 200,000 submissions, 140,000
-- of them in the contest that goes on. The same in each database: what looks random is a checksum.
USE contest;

CREATE TABLE digits (digit INT PRIMARY KEY);
INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);
CREATE TABLE numbers (number INT PRIMARY KEY);
INSERT INTO numbers
SELECT a.digit + 10 * b.digit + 100 * c.digit + 1000 * d.digit + 10000 * e.digit + 100000 * f.digit
FROM digits a, digits b, digits c, digits d, digits e, digits f WHERE f.digit < 2;

INSERT INTO users (id, name, password_hash)
SELECT id, name, SHA2(CONCAT(name, ':', LEFT(SHA2(CONCAT('contest:', name), 256), 12)), 256)
FROM (
    SELECT number + 1 AS id, IF(number < 4000, CONCAT('tester', LPAD(number + 1, 4, '0')), CONCAT('user', number + 1)) AS name
    FROM numbers WHERE number < 50000
) AS named;

INSERT INTO contests (id, title) SELECT number + 1, CONCAT('Contest ', number + 1) FROM numbers WHERE number < 10;

INSERT INTO problems (id, contest_id, title, body, points)
SELECT number + 1, number DIV 8 + 1, CONCAT('Problem ', number % 8 + 1), REPEAT('Given n numbers, find two. ', 40), 100 * (number % 8 + 1)
FROM numbers WHERE number < 80;

INSERT INTO submissions (contest_id, problem_id, user_id, verdict, points, code, submitted_at)
SELECT contest_id, problem_id, user_id, verdict, IF(verdict = 'accepted', 100 * ((problem_id - 1) % 8 + 1), 0),
    REPEAT('print(sum(numbers))\n', 12), NOW(3) - INTERVAL number SECOND
FROM (
    SELECT number, contest_id, (contest_id - 1) * 8 + 1 + CRC32(CONCAT('problem', number)) % 8 AS problem_id,
        1 + CRC32(CONCAT('user', number)) % 50000 AS user_id,
        ELT(1 + CRC32(CONCAT('verdict', number)) % 3, 'accepted', 'wrong answer', 'time limit') AS verdict
    FROM (SELECT number, IF(number < 140000, 10, 1 + number % 9) AS contest_id FROM numbers) AS placed
) AS judged;

UPDATE contests SET
    submissions = (SELECT COUNT(*) FROM submissions WHERE contest_id = contests.id),
    accepted = (SELECT COUNT(*) FROM submissions WHERE contest_id = contests.id AND verdict = 'accepted');
DROP TABLE numbers;
DROP TABLE digits;
ANALYZE TABLE users, problems, submissions;

SELECT 1; -- The number is another branch's, whose file takes the place of this one.

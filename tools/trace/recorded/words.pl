my %h; my @l; srand(1);
for my $i (1..2500) { my $w = join('', map { chr(97+int(rand(26))) } 1..(1+int(rand(12)))); $h{substr($w,0,3)} .= $w . ' '; push @l, $w; shift @l if @l > 500; }
for my $k (sort keys %h) { my @w = split / /, $h{$k}; print scalar(@w), " $k ", join(',', reverse @w), "\n"; }
